"""Models of the gadget module."""

from meridian_dummy.models.extras import PartnerExtra, TaskExtra
from meridian_dummy.models.gadget import Gadget, GadgetMaker, GadgetPart

__all__ = ["Gadget", "GadgetMaker", "GadgetPart", "PartnerExtra", "TaskExtra"]
