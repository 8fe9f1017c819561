# (replay)
