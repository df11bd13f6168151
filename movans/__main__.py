from movans.cli import main

main()
