"""`python -m tertulia`: the same as the command `tertulia`."""

from tertulia.cli.main import main

if __name__ == "__main__":
    main()
