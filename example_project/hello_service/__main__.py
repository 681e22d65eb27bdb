"""So that ``python -m hello_service`` works too."""

from hello_service.cli import main

if __name__ == "__main__":
    main()
