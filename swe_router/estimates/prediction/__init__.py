"""Quality and cost per tier, fitted on past outcomes."""
