from openclaw.cli import main

raise SystemExit(main())
