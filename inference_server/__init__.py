"""The inference server: owns the models and answers the gRPC contract in proto/nexttoken/v1."""
