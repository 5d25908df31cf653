"""Which of several ways to compute the same thing is used: the first that works and agrees with a reference."""


def reason(why):
    """One line of an exception."""
    lines = str(why).splitlines()
    return f"{type(why).__name__}: {lines[0] if lines else ''}"[:160]


def pick(what, makers, wanted, disagreement, limit):
    """`makers`: {name: () -> backend}, best first; `wanted`: a name that has to be taken, or None; `disagreement(backend)`:
    ‖out − reference‖ / ‖reference‖ on random inputs. -> (backend, lines about those passed over)
    @throws RuntimeError when none is left"""
    lines = []
    for name in [wanted] if wanted else makers:
        if name not in makers:
            raise RuntimeError(f"no {what} '{name}'; known: {', '.join(makers)}")
        try:
            backend = makers[name]()
            off = disagreement(backend)
        except Exception as why:  # an operator that is missing or refuses: take the next
            lines.append(f"{what} {name} not used: {reason(why)}")
            continue
        if off <= limit:
            return backend, lines
        lines.append(f"{what} {name} not used: differs from the reference by {off:.2g}")
    raise RuntimeError(f"no {what} works: " + "; ".join(lines))
