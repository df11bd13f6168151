-- What went out unconfirmed is asked for by each import: among a million events it is found without reading them all.

create index custody_event_reported on custody_event (feed_run_id) where reported;
