-- What went out of held runs unconfirmed, and stays so until a person decides.

create view undecided as
    select f.id, f.feed, f.outcome, u.unconfirmed
    from held_run h join feed_run f on f.id = h.feed_run_id, lateral (
        select count(*) as unconfirmed from custody_event e
        where e.feed_run_id = f.id and e.reported and e.corrected_at is null) u
    where f.outcome = 'held'
       or (h.reported_at is not null and u.unconfirmed > 0 and (
           f.outcome = 'applied' or (f.outcome = 'overtaken' and not exists (
               select from feed_run newer where newer.feed = f.feed and newer.id > f.id and newer.outcome = 'held'))));
comment on view undecided is
    'Runs that wait for a person: those that are held, and those that are not any more, out of which something went as not yet confirmed that nobody has confirmed or withdrawn since. What went out of one that another held run has overtaken is decided with that.';

-- What each import said of a court date, so that what one said can be withdrawn.
create table court_said (
    id             bigint      generated always as identity primary key,
    court_event_id bigint      not null references court_event,
    feed_run_id    bigint      not null references feed_run,
    case_number    text        not null,
    planned_at     timestamptz not null,
    place          text        not null,
    state          text        not null check (state in ('scheduled', 'cancelled', 'deleted')),
    changed_at     timestamptz,
    known_at       timestamptz not null,
    retracted_at   timestamptz
);
create index court_said_of_event on court_said (court_event_id, id);
create index court_said_by_run on court_said (feed_run_id);
comment on table court_said is 'What a court said of a date, each time that it was something else than before. The latest that was not withdrawn is what holds, and stands in court_event, too.';
comment on column court_said.retracted_at is 'When a person withdrew the import that said it. While the court says the same again, it is no news.';
insert into court_said (court_event_id, feed_run_id, case_number, planned_at, place, state, changed_at, known_at)
    select id, feed_run_id, case_number, planned_at, place, state, changed_at, known_at from court_event;

alter table court_event drop constraint court_event_state_check;
alter table court_event add constraint court_event_state_check check (
    state in ('scheduled', 'cancelled', 'deleted', 'withdrawn'));
comment on column court_event.state is
    'scheduled: it is to be held, or was. cancelled: it will not be held. deleted: it is not in the calendar any more. withdrawn: all that was ever said of it was withdrawn by a person.';

alter table court_event_of add column feed_run_id bigint references feed_run, add column retracted_at timestamptz;
comment on column court_event_of.feed_run_id is 'By which import it became theirs, or by the next that said something of it where that one was withdrawn. Empty: not kept.';
comment on column court_event_of.retracted_at is 'When a person withdrew that import: it is theirs only when the court says something else of it.';
create index court_event_of_run on court_event_of (feed_run_id);

create table court_spoken_before (
    feed_run_id bigint      not null references feed_run,
    offender_id bigint      not null references offender,
    court_at    timestamptz not null,
    court_place text        not null,
    primary key (feed_run_id, offender_id)
);
comment on table court_spoken_before is 'The court date of a jail''s file that callers heard of an offender before an import of a calendar: they hear it again where that is withdrawn.';

create function is_of_calendar(o offender) returns boolean stable language sql as $$
    select exists (
        select from court_event_of l join court_said s using (court_event_id)
        where offender_id = o.id and s.planned_at = o.court_at and s.place = o.court_place)
$$;
comment on function is_of_calendar is 'Whether the court date that callers hear of an offender is, or was, one of a court''s calendar, and not of a jail''s file.';

create or replace function is_over(o offender, at timestamptz) returns boolean stable language sql as $$
    select o.status in ('released', 'deceased') and (o.court_at is null or o.court_at <= at) and not exists (
        select from court_event_of l join court_event c on c.id = court_event_id
        where offender_id = o.id and l.retracted_at is null and state = 'scheduled' and planned_at > at)
$$;

-- Whether a later time of an event was its correction, or the event was two and what was in between comes late.
alter table custody_event add column own_times timestamptz[] not null default '{}';
update custody_event set own_times = stated_times where strpos(source_key, e'\t') = 0;
comment on column custody_event.own_times is 'Of its stated times, those that the agency gave under the event''s own id. Empty: it has none.';
create or replace view happened as
    select * from custody_event where planned_at is null and retracted_at is null and kind <> 'corrected';
