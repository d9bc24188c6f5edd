/** The preview of who goes where: people are moved in it before anything is done. */
import { begin } from "./people.js";

begin();
