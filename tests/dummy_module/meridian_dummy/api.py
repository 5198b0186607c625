"""REST resources of the module."""

from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart

from apps.api.base import NestedSpec, Resource, resource


@resource("dummy/gadgets")
class GadgetResource(Resource):
    model = Gadget
    nested = {"parts": NestedSpec(model=GadgetPart, link="gadget")}
    summary = "Gadgets"


@resource("dummy/makers")
class GadgetMakerResource(Resource):
    model = GadgetMaker
    summary = "Makers of gadgets"
