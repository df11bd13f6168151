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
