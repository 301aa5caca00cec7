"""REGISTER: device changes, suspensions and their holds, rows."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.DEVICE_CHANGES,
        "counter",
        "changes",
        (L.OPERATION, L.RESULT),
        "Device changes and what became of them.",
        "Many that change nothing: apps register at every start; harmless, but `refresh` is cheaper.",
    ),
    Metric(
        N.CLOCKS_AHEAD,
        "counter",
        "changes",
        (),
        "Device changes whose `at` was more than five minutes ahead of Kafka's time. They count from Kafka's time.",
        "Some phones have wrong clocks. Many at once: an app, or a back end, writes times in another unit or zone.",
    ),
    Metric(
        N.DEVICES_OVERDUE,
        "gauge",
        "devices",
        (),
        "Devices last seen 15 to 30 days ago, as the last sweeps found them. Apps refresh every 14 days.",
        "Rising after a release of an app: it does not refresh any more, and its devices will be removed as stale.",
    ),
    Metric(
        N.SWEEPS,
        "counter",
        "passes",
        (L.RESULT,),
        "Sweeps of a partition: `done`, or `braked` because too many devices are stale.",
        "None `done` for two days: registrars restart more often than a sweep takes, or the pace is too low.",
    ),
    Metric(
        N.SWEEPS_BRAKED,
        "gauge",
        "partitions",
        (),
        "Partitions whose sweep removes nothing because more devices are stale than `sweep.max_share`.",
        "Look at the registrars' clocks, and whether apps refresh. If all is well: `pushcast device sweep --confirm`.",
    ),
    Metric(
        N.TOKEN_CLAIMS,
        "counter",
        "claims",
        (L.RESULT,),
        "Claims of tokens: `claimed`, `moved` (another device had it, and is evicted), `vacated`, `unchanged`.",
        "`moved`, over one in a hundred: phones do not change hands so often; look for apps that make device ids up.",
    ),
    Metric(
        N.MARKERS_DROPPED,
        "counter",
        "markers",
        (),
        "Markers of removed devices that ended before their 14 days, because their user had 1,000 in that app.",
        "Any: an app makes up a device id at each start; `pushcast device show USER` says which.",
    ),
    Metric(
        N.TOKEN_MARKS_ENDED,
        "counter",
        "marks",
        (),
        "Tokens of which it is not known any more whose they were: nobody had them for `sweep.vacant_days`.",
        "None for weeks although devices go: registrars restart more often than a sweep takes, or no claims come.",
    ),
    Metric(
        N.TOKENS_CONTESTED,
        "counter",
        "moves",
        (),
        "Moves of a token to another device beyond five within a day.",
        "Somebody registers tokens that are not theirs: look at `push.token.evict.v1` and at who may register.",
    ),
    Metric(
        N.EVICTIONS,
        "counter",
        "evictions",
        (L.RESULT,),
        "Devices that lost their token: `removed`, or why not: `registered_later`, `other_token`, `unknown`.",
        "Nothing: those that are not `removed` came late or twice. `device why` shows `token_moved` for the others.",
    ),
    Metric(
        N.RESEALED,
        "counter",
        "rows",
        (L.RESULT,),
        "Rows that a pass sealed under the key that seals now (`written`), or why not (`KeyUnknown`, `SealBroken`).",
        "`KeyUnknown`: give the registrar its whole part of the keyring; until then these rows stay under the old key.",
    ),
    Metric(
        N.SUSPENSIONS,
        "counter",
        "devices",
        (L.RESULT,),
        "Devices that a verdict suspended, and how it ended: `removed` after the hold, `lifted` in doubt.",
        "`suspended` less `removed` and `lifted`: devices whose hold has not ended yet. Many lifted: a breaker opened.",
    ),
    Metric(
        N.HOLDS_OVER,
        "counter",
        "holds",
        (L.REASON,),
        "Holds at whose end there was nothing to do: `active` again, `unknown`, `other_token`, another's `suspended`.",
        "`active`, many: apps register anew what providers call dead; look at their clocks and tokens.",
    ),
    Metric(
        N.VOID_ROWS,
        "counter",
        "rows",
        (L.RESULT,),
        "Rows that a registrar wrote after another had taken its partition over: `found`, and `healed` (overwritten).",
        "Many: processes are stopped for longer than their session timeout. Found and not healed: look at the log.",
    ),
    Metric(
        N.REGISTER_CLAIMS,
        "counter",
        "partitions",
        (),
        "Partitions that this registrar has taken over.",
        "Steadily rising: the group is never at rest, and holds begin anew each time.",
    ),
    Metric(
        N.DEVICES_REMOVED,
        "counter",
        "devices",
        (L.REASON,),
        "Devices that were removed for another reason than their app's word: a provider's, or `token_moved`.",
        "A jump for one app: wrong credentials or environment; stop the sender of that app and look.",
    ),
    Metric(
        N.TOKENS_KEPT,
        "counter",
        "tokens",
        (L.REASON,),
        "Verdicts against a token that REGISTER did not follow.",
        "Normal in small numbers: the device had registered again meanwhile.",
    ),
    Metric(
        N.ROWS_UNREADABLE,
        "counter",
        "rows",
        (L.REASON,),
        "Device rows that this release cannot read.",
        "A newer release wrote them, or another program did: upgrade, or find the writer.",
    ),
)
