"""When cron and systemd run an expression, by croniter and by Python's time zones.

Reads lines of JSON, {"expression", "zone", "from" (seconds since 1970), "count"}, and answers each with a line,
{"cron": [...], "systemd": [...]}, lists of seconds since 1970.

croniter finds the times on the clock, which knows no changes; what becomes of those that a change leaves out or shows twice is said
in `cron` and `systemd` below, and nowhere else.
"""

import json
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

MINUTE = timedelta(minutes=1)
# More than any change that is taken for daylight saving time.
MARGIN = timedelta(hours=4)


def moments(clock, zone):
    """The moments at which clocks in a zone show a time: one, two, or none."""
    first, second = (clock.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return [first.timestamp()]
    if first.utcoffset() > second.utcoffset():
        return [first.timestamp(), second.timestamp()]
    return []


def cron(clock, zone, wildcard):
    """cron(8): what begins with `*` goes by the clock; the rest is run after a gap, and not again."""
    shown = moments(clock, zone)
    if wildcard:
        return shown
    while not shown:
        clock += MINUTE
        shown = moments(clock, zone)
    return shown[:1]


def systemd(clock, zone, _wildcard):
    """Nothing for a time that is left out; the first of two."""
    return moments(clock, zone)[:1]


def runs(policy, case):
    zone = ZoneInfo(case["zone"])
    begin = datetime.fromtimestamp(case["from"], timezone.utc).astimezone(zone).replace(tzinfo=None, fold=0)
    fields = case["expression"].split()
    wildcard = fields[0].startswith("*") or fields[1].startswith("*")
    # The "bug" is the rule about `*` at the front of a day field.
    times = croniter(case["expression"], begin - MARGIN, ret_type=datetime, implement_cron_bug=True)
    found, enough = set(), None
    while True:
        try:
            clock = times.get_next(datetime)
        except CroniterBadDateError:
            break
        if enough is not None and clock > enough:
            break
        found.update(moment for moment in policy(clock, zone, wildcard) if moment > case["from"])
        if enough is None and len(found) >= case["count"]:
            enough = clock + MARGIN
    return sorted(found)[: case["count"]]


for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps({policy.__name__: [int(run) for run in runs(policy, case)] for policy in (cron, systemd)}))
