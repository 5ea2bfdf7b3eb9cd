"""Claims jobs and runs them: analysis and reports in the worker role, deliveries in the sender role."""
