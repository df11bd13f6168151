-- A newer snapshot does not take the place of what an older one, which is held, states of people who are not in it.

alter table held_run add column overtaken_at timestamptz;
comment on column held_run.overtaken_at is
    'When a newer snapshot took the place of all of it but who got out, by its rows, and is not in that one: the content has only these since. Empty: none has.';
comment on column held_run.content is 'The file as it came; where a newer snapshot took the place of most of it, the rows that are left, each where it stood.';

create or replace view undecided as
    select f.id, f.feed, f.outcome, u.unconfirmed
    from held_run h join feed_run f on f.id = h.feed_run_id, lateral (
        select count(*) as unconfirmed from custody_event e
        where e.feed_run_id = f.id and e.reported and e.corrected_at is null) u
    where f.outcome = 'held'
       or (h.reported_at is not null and u.unconfirmed > 0 and (
           f.outcome = 'applied' or (f.outcome = 'overtaken' and not exists (
               select from feed_run newer join held_run its on its.feed_run_id = newer.id
               where newer.feed = f.feed and newer.id > f.id and newer.outcome = 'held'
                 and its.overtaken_at is null))));
comment on view undecided is
    'Runs that wait for a person: those that are held, and those that are not any more, out of which something went as not yet confirmed that nobody has confirmed or withdrawn since. What went out of one that another held run has overtaken is decided with that, unless a newer snapshot took the place of most of it.';
