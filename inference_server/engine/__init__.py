"""One model's requests: validate, encode, schedule, describe."""
