"""One model's questions: validate, encode, schedule, describe."""
