"""One quick run over a rising η, and the rules that read its curve: nbtune's own and the classic ones."""
