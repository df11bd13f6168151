-- Which court date is the next is found when it is asked: one passes, and no file comes.

-- An offender's court date was overwritten by a calendar's. From now on it is what the jail's file gave, and that alone.
create index on court_spoken_before (offender_id, feed_run_id);
analyze court_spoken_before, court_event_of, court_event, court_said, offender;
update offender o set court_at = was.court_at, court_place = coalesce(was.court_place, '')
from offender it left join lateral (
    select court_at, court_place from court_spoken_before where offender_id = it.id order by feed_run_id desc limit 1
) was on true
where o.id = it.id and it.court_at is not null and is_of_calendar(it);
comment on column offender.court_at is 'When the person is next due in court, at court_place, as their agency''s custody file gave it. What callers hear is next_court_date.';
drop function is_of_calendar;
drop table court_spoken_before;

create function next_court_date(o offender, at timestamptz) returns table (planned_at timestamptz, place text)
stable language sql as $$
    select planned_at, place from (
        select e.planned_at, e.place, true as of_calendar
        from court_event_of l join court_event e on e.id = l.court_event_id
        where l.offender_id = o.id and l.retracted_at is null and e.state = 'scheduled' and e.planned_at > at
        union all
        select o.court_at, o.court_place, false
        where o.court_at > at and not exists (
            select from court_event_of l join court_said s using (court_event_id)
            where l.offender_id = o.id and s.planned_at = o.court_at)) known
    order by of_calendar desc, known.planned_at limit 1
$$;
comment on function next_court_date is
    'The court date of an offender that comes next after that time: of a court''s calendar, or, where none has one, of their agency''s custody file, unless a calendar has said anything of one at that very time: then it was moved, called off or withdrawn.';

create or replace function is_over(o offender, at timestamptz) returns boolean stable language sql as $$
    select o.status in ('released', 'deceased') and not exists (select from next_court_date(o, at))
$$;

-- Of what a court said, that of which somebody was told stands by itself, though it was said before.
create view court_told as
    select s.id as court_said_id, l.offender_id
    from court_said s join court_event c on c.id = s.court_event_id join court_event_of l using (court_event_id)
    where exists (
        select from custody_event e
        where e.offender_id = l.offender_id and e.feed_run_id = s.feed_run_id and e.source = c.agency
          and starts_with(e.kind, 'court_') and split_part(e.source_key, e'\t', 2) = c.source_key
          and e.retracted_at is null);
comment on view court_told is 'What a court said of a date, and the offenders of whom the same import told news of that date which is not withdrawn.';
