"""A subclass of Process attaches by itself."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    class Miner(multiprocessing.Process):
        def __init__(self, depth):
            super().__init__(name="miner")
            self.depth = depth

        def run(self):
            logging.getLogger("app").info("dug %d m", self.depth)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False):
            miner = Miner(7)
            miner.start()
            miner.join()
"""


def test_a_subclass_attaches_by_itself(program, read_log, tmp_path, start_method):
    """A Process subclass needs nothing either."""
    program(PROGRAM, start_method)
    assert [(record["process"], record["msg"]) for record in read_log(tmp_path / "app.json")] == [("miner", "dug 7 m")]
