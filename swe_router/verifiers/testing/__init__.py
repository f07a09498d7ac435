"""Running a project's own tests: runners, batches, results, before against after."""
