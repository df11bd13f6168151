-- A newer snapshot does not take the place of what an older one, which is held, states of people who are not in it.

alter table held_run add column overtaken_at timestamptz;
comment on column held_run.overtaken_at is
    'When a newer snapshot took the place of all of it but who got out, by its rows, and is not in that one: the content has only these since. Empty: none has.';
comment on column held_run.content is 'The file as it came; where a newer snapshot took the place of most of it, the rows that are left, each where it stood.';
