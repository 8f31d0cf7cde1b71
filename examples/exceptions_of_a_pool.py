"""Read an exception of a pool as data: the worker's own frames, and its cause, in the parent's record.

    from the pool: ValueError: order 7
      raised in the worker by ship, at: raise ValueError(f"order {order}") from error
      because of KeyError: 'stock'
"""

import json
import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger("app")


def ship(order):
    try:
        return {}["stock"]
    except KeyError as error:
        raise ValueError(f"order {order}") from error


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    with mplog.setup("exceptions_of_a_pool.json", console=False), context.Pool(1) as pool:
        try:
            pool.apply(ship, (7,))
        except ValueError:
            log.exception("from the pool")

    with open("exceptions_of_a_pool.json") as file:
        record = json.loads(file.readline())
    error = record["exc"]
    print(f"{record['msg']}: {error['type']}: {error['message']}")
    remote = error["cause"]  # what the pool sent as text, as data again
    print(f"  raised in the worker by {remote['frames'][-1]['func']}, at: {remote['frames'][-1]['source']}")
    print(f"  because of {remote['cause']['type']}: {remote['cause']['message']}")
