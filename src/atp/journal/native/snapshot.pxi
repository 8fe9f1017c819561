# (snapshot)
