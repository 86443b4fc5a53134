"""What every figure is made of: colours, frames, labels that find their place, and the sentence under a picture.

Knows no tool; a tool's figures import from here and never from each other's rooms.
"""
