"""Names of tensors as people read them."""


def short_name(name: str, longest: int = 60) -> str:
    """The part of a tensor's name that tells most, in at most `longest` characters.

    Exporters join the names of all operators that they fused, with semicolons; and what tells a
    layer from the next stands at the end of a name.
    """
    first = name.split(";")[0] or name
    return first if len(first) <= longest else f"…{first[1 - longest :]}"
