"""Load, faults and a judge: nothing lost, nothing doubled, whatever dies and whenever (`make chaos`)."""
