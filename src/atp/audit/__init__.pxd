# Cython needs this file to see the folder as a package; it declares nothing.
