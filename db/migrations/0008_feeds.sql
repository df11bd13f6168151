-- Which feed a file came by, and the rows that were put aside instead of refusing the whole of it.

alter table feed_run
    add column feed      text    not null default '',
    add column put_aside integer not null default 0;
comment on column feed_run.feed is 'AGENCY/NAME, as the settings declare it. Empty: a custody file by hand.';
comment on column feed_run.put_aside is 'How many of its rows were not believed; they are in feed_row_aside.';

create table feed_row_aside (
    feed_run_id bigint  not null references feed_run,
    row         integer not null,
    mistakes    text[]  not null,
    given       jsonb   not null,
    primary key (feed_run_id, row)
);
comment on table feed_row_aside is 'A row that was put aside, and why. Nothing of it took effect.';
comment on column feed_row_aside.row is 'Which row of the file, as a spreadsheet counts them; of NIEM, which message.';
comment on column feed_row_aside.given is 'What stood in the fields that are read, by our names.';

create table court_event (
    id          bigint      generated always as identity primary key,
    agency      text        not null,
    source_key  text        not null,
    case_number text        not null,
    planned_at  timestamptz not null,
    place       text        not null,
    state       text        not null check (state in ('scheduled', 'cancelled', 'deleted')),
    changed_at  timestamptz,
    feed_run_id bigint      not null references feed_run,
    known_at    timestamptz not null,
    unique (agency, source_key)
);
comment on table court_event is 'A court date, and the latest that its court said of it.';
comment on column court_event.source_key is 'The court''s own id of the date.';
comment on column court_event.state is
    'scheduled: it is to be held, or was. cancelled: it will not be held. deleted: it is not in the calendar any more.';
comment on column court_event.changed_at is 'When the court says that it became so: an older record changes nothing. Empty: not said.';
comment on column court_event.feed_run_id is 'The import that last changed it.';

create table court_event_of (
    court_event_id bigint not null references court_event,
    offender_id    bigint not null references offender,
    primary key (court_event_id, offender_id)
);
create index court_event_of_offender on court_event_of (offender_id);
comment on table court_event_of is 'Whose court date it is, of those whom a jail has told us of: whoever is registered for them was told of it.';
