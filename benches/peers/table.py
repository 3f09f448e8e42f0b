"""The table: one line for each row and peer."""

import statistics

HEAD = ["work", "peer", "elman", "engine", "peer's", "ratio", "bar", "met", "GF/s", "of torch.mm", "between cores"]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def header():
    return line(HEAD) + "\n" + line(["---"] * len(HEAD))


def quantity(value, measure):
    if measure == "memory":
        return f"{value / 1e6:.0f} MB"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"


def turn_by_turn(one, other):
    """The median of one's turns over the other's of the same round: what slows the machine for a while slows both."""
    return statistics.median(a / b for a, b in zip(one.turns, other.turns))


def ratio(elman, peer, best):
    """The ratio, the bar and whether it is met."""
    if peer.at_most is None:
        value = turn_by_turn(best, elman)
        if peer.at_least is None:
            return f"{value:.2f}", "", ""
        return f"{value:.2f}", f">= {peer.at_least}", "yes" if value >= peer.at_least else "**no**"
    value = turn_by_turn(elman, best)
    if peer.per_operation:
        value *= best.operations / elman.operations
    return f"{value:.2f} of it", f"<= {peer.at_most}", "yes" if value <= peer.at_most else "**no**"


def lines(row, elman, engine, products, peers):
    """The lines of a row."""
    name = f"{row.name} (elman ran {elman.ran})" if elman.ran else row.name
    if not elman.turns:
        return [line([name, "", elman.error or "not measured"] + [""] * (len(HEAD) - 3))]
    own = quantity(elman.value, row.measure)
    bare = [quantity(e.value, row.measure) if e.turns else e.error for e in engine]
    rate, share, result = "", "", []
    between = f"{statistics.median(elman.between):.0f} ns" if elman.between else ""
    if row.measure == "time" and elman.operations:
        rate = f"{elman.operations / elman.side.work.get('steps', 1) / elman.value / 1e9:.0f}"
    measured = [p for p in products if p.turns]
    if measured:
        fastest = max(measured, key=lambda p: p.operations / p.value)
        part = turn_by_turn(fastest, elman) * elman.operations / fastest.operations
        share = f"{part:.0%}"
        if row.share_at_least:
            met = "yes" if part >= row.share_at_least else "**no**"
            peak = f"{fastest.operations / fastest.value / 1e9:.0f} GF/s"
            cells = [name, "torch.mm", own, *(bare or [""]), peak, share]
            result.append(line([*cells, f">= {row.share_at_least:.0%}", met, rate, share, between]))
    for peer, settings in peers:
        done = [s for s in settings if s.turns]
        cells = [name, peer.label, own, *(bare or [""])]
        if done:
            best = min(done, key=lambda s: s.value)
            cells += [quantity(best.value, row.measure), *ratio(elman, peer, best), rate, share, between]
        else:
            cells += [settings[0].error, "", "", "", rate, share, between]
        result.append(line(cells))
    return result
