"""A made-up but realistic 2013: two SIEI lists, what the platforms did afterwards, and what that must add up to.

Communes, schools and académies are real, people are not. The same seed gives the same bytes, on any machine.
"""

from deploy.simulate.simulator import Simulated, simulate

__all__ = ["Simulated", "simulate"]
