"""Energy: events counted in a program, and what published measurements say each costs."""

from celosia.golden.energy.constants import Cost, npu_costs, sram_pj_per_byte
from celosia.golden.energy.events import Event, Events, count_events

__all__ = ["Cost", "Event", "Events", "count_events", "npu_costs", "sram_pj_per_byte"]
