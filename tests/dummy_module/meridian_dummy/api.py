"""REST resources of the module."""

from apps.api.base import NestedSpec, Resource, resource
from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart


@resource("dummy/gadgets")
class GadgetResource(Resource):
    model = Gadget
    nested = {"parts": NestedSpec(model=GadgetPart, link="gadget")}
    summary = "Gadgets"


@resource("dummy/makers")
class GadgetMakerResource(Resource):
    model = GadgetMaker
    summary = "Makers of gadgets"
