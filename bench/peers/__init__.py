"""What users would pick instead, and the limits of the machine: each a module here that starts one,
puts it under the same load as the server of this project, checks what it did, and ends it.
"""
