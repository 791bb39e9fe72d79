"""The regression check: is a run as good as its baseline?"""
