"""Those who are at the sale, as users of Locust: shoppers, bots and operators.

Owns their behaviour and the calls they make; each call is one request event of Locust, named by its
method and outcome, and two entries of the history. Which sale it is is the profile's to say.
"""
