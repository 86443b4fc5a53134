"""Loss against samples, updates or seconds at several k."""
