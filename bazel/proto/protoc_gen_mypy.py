"""protoc's plugin for the types of messages, as a program of its own."""

from mypy_protobuf.main import main

if __name__ == "__main__":
    main()
