-- Each call asks what waits for those who have its telephone; without this index that read every registration there is.

create index registration_of_registrant on registration (registrant_id);
