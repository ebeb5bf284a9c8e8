"""M/M/8 with a histogram, as a user of SimPy would write it.

    mm8.py [customers]   time on the processor a customer, the least of three runs
"""

import math
import random
import sys
import time

import simpy

SERVERS = 8
SERVICE = 0.060
UTILIZATION = 0.8
ROUNDS = 3
# Stays in buckets of a thousandth of themselves, as a histogram of three digits has them.
WIDTH = math.log1p(1e-3)


def customer(env, station, stays):
    arrived = env.now
    with station.request() as turn:
        yield turn
        yield env.timeout(random.expovariate(1 / SERVICE))
    stay = env.now - arrived
    stays["sum"] += stay
    bucket = int(math.log(stay) / WIDTH)
    stays[bucket] = stays.get(bucket, 0) + 1


def source(env, station, customers, stays):
    rate = SERVERS * UTILIZATION / SERVICE
    for _ in range(customers):
        yield env.timeout(random.expovariate(rate))
        env.process(customer(env, station, stays))


def run(customers):
    random.seed(7)
    env = simpy.Environment()
    station = simpy.Resource(env, capacity=SERVERS)
    stays = {"sum": 0.0}
    env.process(source(env, station, customers, stays))
    env.run()
    mean = stays.pop("sum") / customers
    left = 0.99 * customers
    for bucket in sorted(stays):
        left -= stays[bucket]
        if left <= 0:
            return mean, math.exp((bucket + 1) * WIDTH)
    raise AssertionError("some customer is the longest")


def main():
    customers = int(sys.argv[1]) if 1 < len(sys.argv) else 100_000
    least = math.inf
    for _ in range(ROUNDS):
        before = time.process_time_ns()
        mean, p99 = run(customers)
        least = min(least, (time.process_time_ns() - before) / customers)
    print(f"simpy {least:.1f} ns a request, mean {1e3 * mean:.2f} ms, p99 {1e3 * p99:.1f} ms")


main()
