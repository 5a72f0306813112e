"""Made-up lives of one order, each with the end that its maker knows: the oracle of promise 3.

| module    | what lives there                                                        |
|-----------|-------------------------------------------------------------------------|
| choices   | where chance comes from: Hypothesis, or a seeded Random                 |
| life      | a finished life, and the pen that writes its events down                |
| goods     | what was ordered, and what it costs                                     |
| payments  | the payments of an order, and what is told about each                   |
| decisions | what people decide about money                                          |
| refunds   | money that goes back, and money that a bank asks about                  |
| parcels   | fulfillments that a warehouse reports, and their carriers' scans        |
| replacements | parcels sent in place of lost ones                                   |
| returns   | what comes back                                                         |
| edits     | what the order says of its customer, told anew                          |
| holds     | what keeps the order from shipping                                      |
| confirmations | of a delivery, by the customer and by the timer                      |
| cancels   | what is taken out of the order again                                    |
| story     | who does what when; adds up how it must end                             |
| traits    | what a life came to, by name                                            |
| arrival   | any order of arrival, with duplicates; how a failing one is made small  |
| contradictions | lives that contradict themselves, and say so                        |
| comparing | expected against found, field by field                                  |

Nothing here imports `domain/`, and nothing here was written after reading it.
"""

from tests.scenario_generator.arrival import arrivals, describe, smallest_failing
from tests.scenario_generator.choices import Choices, DrawnChoices, RandomChoices
from tests.scenario_generator.comparison import differences, given_back
from tests.scenario_generator.contradictions import CONTRADICTIONS, contradicted
from tests.scenario_generator.life import UNSTATED, Life
from tests.scenario_generator.story import a_life, lives, lives_and_arrivals

__all__ = [
    "CONTRADICTIONS",
    "UNSTATED",
    "Choices",
    "DrawnChoices",
    "Life",
    "RandomChoices",
    "a_life",
    "arrivals",
    "contradicted",
    "describe",
    "differences",
    "given_back",
    "lives",
    "lives_and_arrivals",
    "smallest_failing",
]
