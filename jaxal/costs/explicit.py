"""Programs of any compiler in one form.

Compilers of CPUs and GPUs say how often a loop goes round that counts. That of TPUs does not, and
has fusions inside fusions, where what is read of a large array is not seen. Products on GPUs are
calls of a library.
"""

from jaxal.costs.program import TRIPS, Instruction, Program, trips_of


def explicit(program: Program) -> Program:
    """The program, with the counts of loops that count, products, and no fusion inside another."""
    computations = {
        name: {one.name: _product(counted(program, one)) for one in lines.values()}
        for name, lines in program.computations.items()
    }
    program = program._replace(computations=computations)
    fused = {
        called
        for lines in computations.values()
        for one in lines.values()
        if one.opcode == "fusion"
        for called in one.called
    }
    flat = {name: _inlined(program, name) for name in fused if name in computations}
    return program._replace(computations={**computations, **flat})


def counted(program: Program, one: Instruction) -> Instruction:
    """A loop with the number of its steps, if its condition is `i < constant`, i from 0.

    All loops of jaxal that count do so from 0, and by a constant.
    """
    if one.opcode != "while" or trips_of(one) is not None:
        return one
    condition = program.computations.get(one.attribute("condition") or "", {})
    body = program.computations.get(one.attribute("body") or "", {})
    if not condition or not body:
        return one
    compared, state = list(condition.values())[-1], list(body.values())[-1]
    if compared.opcode != "compare" or "direction=LT" not in compared.text:
        return one
    index, bound = (condition.get(name) for name in compared.operands)
    if index is None or index.opcode != "get-tuple-element" or state.opcode != "tuple":
        return one
    place = index.attribute("index")
    added = body.get(state.operands[int(place)]) if place else None
    if added is None or added.opcode != "add":
        return one
    end = _constant(bound)
    step = next(filter(None, (_constant(body.get(name)) for name in added.operands)), None)
    if not end or not step:
        return one
    return one._replace(text=f'{one.text}, {TRIPS}="{-(-end // step)}"')


def _product(one: Instruction) -> Instruction:
    """A call of NVIDIA's library as the product that it is, without its room to work in."""
    if one.opcode != "custom-call" or 'custom_call_target="__cublas' not in one.text:
        return one
    return one._replace(opcode="dot", shapes=one.shapes[:1])


def _constant(one: Instruction | None) -> int | None:
    if one is None or one.opcode != "constant":
        return None
    digits = one.text.split(")", 1)[0]
    return int(digits) if digits.isdigit() else None


def _inlined(program: Program, name: str) -> dict[str, Instruction]:
    """The lines of a computation, with those of the fusions in it in their place."""
    lines: dict[str, Instruction] = {}
    for one in program.computations[name].values():
        if one.opcode != "fusion" or not one.called:
            lines[one.name] = one
            continue
        inner = _inlined(program, one.called[0])
        # Names are those of one computation; what an operand is called there, it is called here.
        names = {line: f"{one.name}/{line}" for line in inner}
        for line in inner.values():
            if line.opcode == "parameter":
                number = int(line.text.split(")", 1)[0])
                names[line.name] = one.operands[number]
        names[next(reversed(inner))] = one.name
        for line in inner.values():
            if line.opcode != "parameter":
                operands = tuple(names.get(operand, operand) for operand in line.operands)
                lines[names[line.name]] = line._replace(name=names[line.name], operands=operands)
    return lines
