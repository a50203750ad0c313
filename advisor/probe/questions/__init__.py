"""What single requests tell: does a route answer, with what, and who may keep the answer?"""
