"""What comes in from outside and proves itself with a signature: pushes and other programs' mails.

Pure, like its neighbours: certificates, secrets, clock and queues are handed in.
"""
