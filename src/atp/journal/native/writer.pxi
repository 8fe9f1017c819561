# (writer)
