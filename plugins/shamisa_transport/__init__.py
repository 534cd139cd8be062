"""Graph source made from balanced assignments to prototypes (method.md §4)."""

from shamisa_transport.transport import Transport

__all__ = ["Transport"]
