"""A model as one graph, crops in and scores out, for programs that do without this one."""
