"""protoc's plugin for the types of services, as a program of its own."""

from mypy_protobuf.main import grpc

if __name__ == "__main__":
    grpc()
