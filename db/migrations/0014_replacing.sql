-- What was proven stays proven to whoever says that they did not ask for it, and a number that is changed stays until then.

alter table telephone add column proven_once boolean not null default false,
    add column replaces bigint references telephone on delete set null;
update telephone t set proven_once = true
    where proven_at is not null or exists (select from proof p where p.telephone_id = t.id and p.state = 'proven');
create index replaced_telephone on telephone (replaces) where replaces is not null;

comment on column telephone.proven_once is
    'Whether it was ever proven, also with a PIN that staff have replaced since. Then whoever picks up cannot end it.';
comment on column telephone.replaces is
    'The telephone of the same registrant that ends when this one is proven, because they asked to be called here instead.';
comment on column telephone.ended_at is
    'When it stopped to be called: somebody who picked up said twice that they did not ask for this, or another one was proven that replaces it.';
